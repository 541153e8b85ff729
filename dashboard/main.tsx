import './jitless.ts';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/header.css';
import './styles/map.css';
import './styles/table.css';
import './styles/feed.css';
import './styles/drawer.css';
import './styles/notices.css';
import { App } from './app.tsx';
import { nextFrame } from './next-frame.ts';
import { FleetStore } from './store/fleet-store.ts';
import { storedToken } from './token.ts';
import { StoreProvider } from './use-store.ts';

const hubUrl = new URL('.', window.location.href).href;
const store = new FleetStore({ hubUrl, schedule: nextFrame });
store.connect(storedToken());

// A machine that slept, or is on another network now, finds out at once instead of at the next sign of life.
window.addEventListener('online', () => store.checkNow());
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible') store.checkNow();
});

const page = document.getElementById('page');
if (page) {
  createRoot(page).render(
    <StrictMode>
      <StoreProvider value={store}>
        <App />
      </StoreProvider>
    </StrictMode>,
  );
}
