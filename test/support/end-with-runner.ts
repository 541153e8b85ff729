// Vitest lets a worker finish its file where the main process was killed, and with it all that the worker started.
if (process.connected) process.once('disconnect', () => process.exit(1));
