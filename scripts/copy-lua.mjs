// The store reads its Lua scripts from beside the module that uses them: copies them to where tsc put it.
import { cpSync } from 'node:fs';

cpSync('server/store/redis/lua', 'dist/server/store/redis/lua', { recursive: true });
