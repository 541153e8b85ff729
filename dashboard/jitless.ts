// Imported before anything that makes a schema: zod would else try `new Function`, which the policy forbids.
import { z } from 'zod';

z.config({ jitless: true });
