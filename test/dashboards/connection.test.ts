import { EventEmitter } from 'node:events';
import { Duplex } from 'node:stream';
import { beforeEach, describe, expect, test } from 'vitest';
import { DashboardConnection, type EngineConnection } from '../../server/dashboards/connection.ts';
import { silentLog } from '../../server/runtime/log.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** A network socket whose peer reads only when told to. */
class StuckSocket extends Duplex {
  #taken: Array<() => void> = [];
  override _read(): void {}
  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    this.#taken.push(done);
  }
  takeOne(): void {
    this.#taken.shift()?.();
  }
}

class FakeEngine extends EventEmitter implements EngineConnection {
  readyState = 'open';
  close(): void {
    this.readyState = 'closed';
  }
}

const MIB = 1024 * 1024;

let clock: FakeClock;
let socket: StuckSocket;
let engine: FakeEngine;
let connection: DashboardConnection;

beforeEach(() => {
  clock = new FakeClock();
  socket = new StuckSocket();
  engine = new FakeEngine();
  connection = new DashboardConnection(engine, socket, {
    ...{ remoteAddress: '192.0.2.7', clock, log: silentLog, sent: () => {} },
  });
});

/** Runs the clock until the promise settles. */
async function passing<T>(waited: Promise<T>, stepMs: number): Promise<T> {
  let settled = false;
  void waited.finally(() => {
    settled = true;
  });
  while (!settled) {
    await new Promise(setImmediate);
    await clock.advance(stepMs);
  }
  return waited;
}

describe('the connection of a dashboard', () => {
  test('[BP-1] counts what the network socket and Engine.IO hold', () => {
    socket.write(Buffer.alloc(1_000));
    expect(connection.unreadBytes).toBe(1_000);
    engine.emit('packetCreate', { data: 'x'.repeat(500) });
    engine.emit('packetCreate', {});
    expect(connection.unreadBytes).toBeGreaterThanOrEqual(1_500);
    engine.emit('flush');
    expect(connection.unreadBytes).toBe(1_000);
  });

  test('[BP-1] more than can be kept is the end, in bytes or in packets', () => {
    socket.write(Buffer.alloc(16 * MIB));
    expect(connection.takesMore()).toBe(true);
    socket.write(Buffer.alloc(1));
    expect(connection.takesMore()).toBe(false);
    expect(socket.destroyed).toBe(true);
    const other = new DashboardConnection(engine, new StuckSocket(), {
      ...{ remoteAddress: '192.0.2.8', clock, log: silentLog, sent: () => {} },
    });
    engine.readyState = 'open';
    for (let packets = 0; packets < 70_000; packets += 1) engine.emit('packetCreate', { data: '2' });
    expect(other.takesMore()).toBe(false);
  });

  test('[BP-6] a burst cuts nobody off who reads it within 10 s', () => {
    for (let burst = 0; burst < 5; burst += 1) {
      socket.write(Buffer.alloc(15 * MIB));
      for (let checks = 0; checks < 9; checks += 1) connection.check();
      expect(connection.takesMore()).toBe(true);
      socket.takeOne();
      connection.check();
    }
    expect(connection.closed).toBe(false);
  });

  test('[BP-6] a dashboard with more than 4 MiB unread at every check for 10 s is cut off', () => {
    for (let checks = 0; checks < 9; checks += 1) {
      socket.write(Buffer.alloc(5 * MIB));
      if (checks > 0) socket.takeOne();
      connection.check();
    }
    expect(connection.closed).toBe(false);
    connection.check();
    expect(connection.closed).toBe(true);
    expect(socket.destroyed).toBe(true);
  });

  test('[BP-2] waits until less than a megabyte is unread', async () => {
    for (let chunk = 0; chunk < 3; chunk += 1) socket.write(Buffer.alloc(600_000));
    const drained = connection.drained();
    let settled = false;
    void drained.then(() => {
      settled = true;
    });
    await new Promise(setImmediate);
    await clock.advance(1_000);
    expect(settled).toBe(false);
    socket.takeOne();
    socket.takeOne();
    expect(await passing(drained, 10)).toBe(true);
  });

  test('[BP-5] a dashboard that takes nothing for 30 s is cut off, one that takes a little is not', () => {
    for (let chunk = 0; chunk < 30; chunk += 1) socket.write(Buffer.alloc(100_000));
    for (let checks = 0; checks < 200; checks += 1) {
      if (checks % 29 === 0) socket.takeOne();
      connection.check();
    }
    expect(connection.closed).toBe(false);
    for (let checks = 0; checks < 30; checks += 1) connection.check();
    expect(connection.closed).toBe(true);
    expect(socket.destroyed).toBe(true);
  });

  test('[BP-5] so is one to which more and more is sent; one that has taken all is not', () => {
    for (let checks = 0; checks < 100; checks += 1) connection.check();
    expect(connection.closed).toBe(false);
    for (let checks = 0; checks < 30; checks += 1) {
      socket.write(Buffer.alloc(1_000));
      connection.check();
    }
    expect(connection.closed).toBe(true);
  });

  test('[BP-3] more messages than the rate and the burst allow end it', async () => {
    for (let received = 0; received < 100; received += 1) engine.emit('packet', {});
    expect(connection.closed).toBe(false);
    await clock.advance(1_000);
    for (let received = 0; received < 20; received += 1) engine.emit('packet', {});
    expect(connection.closed).toBe(false);
    engine.emit('packet', {});
    expect(connection.closed).toBe(true);
  });

  test('[FRZ-4] messages that gathered while the hub stood still are no flood, once', () => {
    const packets = (count: number) => {
      for (let n = 0; n < count; n += 1) engine.emit('packet', {});
    };
    packets(100);
    connection.stoodStill(8_000);
    packets(160);
    expect(connection.closed).toBe(false);
    packets(1);
    expect(connection.closed).toBe(true);
  });
});
