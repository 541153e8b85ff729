import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checked, startApi, type TestApi } from './test-api.ts';

const openApiSchema = z.looseObject({
  openapi: z.string(),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        operationId: z.string(),
        summary: z.string(),
        responses: z.record(
          z.string(),
          z.looseObject({
            content: z.record(z.string(), z.looseObject({ examples: z.record(z.string(), z.unknown()) })),
          }),
        ),
        requestBody: z
          .looseObject({ content: z.record(z.string(), z.record(z.string(), z.unknown())) })
          .optional(),
      }),
    ),
  ),
});

describe('the documents', () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api.close());

  it('[API-39] /openapi.json is valid OpenAPI 3.1', async () => {
    const { body } = await api.call('GET', '/openapi.json');
    const result = await new Validator().validate(body);
    expect(result.errors).toBeUndefined();
    expect(result.valid).toBe(true);
    expect(body.openapi).toMatch(/^3\.1/);
  });

  it('[API-40] every operation has its own id, a summary, examples and its errors', async () => {
    const { paths } = openApiSchema.parse((await api.call('GET', '/openapi.json')).body);
    const operations = Object.values(paths).flatMap((each) => Object.values(each));
    expect(operations.length).toBeGreaterThan(15);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    for (const { operationId, summary, responses, requestBody } of operations) {
      expect(summary, operationId).not.toBe('');
      expect(
        Object.keys(responses).some((status) => Number(status) >= 400),
        operationId,
      ).toBe(true);
      for (const { content } of Object.values(responses)) {
        for (const { examples } of Object.values(content)) expect(examples, operationId).not.toEqual({});
      }
      for (const body of Object.values(requestBody?.content ?? {})) {
        expect(body.example ?? body.examples, operationId).toBeDefined();
      }
    }
  });

  it('[API-41] the answers of this run are checked against it', async () => {
    const before = checked.answers;
    await api.call('GET', '/api/v1/nodes');
    await api.call('GET', '/api/v1/nodes/nobody');
    expect(checked.answers).toBe(before + 2);
  });

  it('[API-42] /asyncapi.json is valid AsyncAPI 3 and tells every message of both sockets', async () => {
    const { body } = await api.call('GET', '/asyncapi.json');
    const path = createRequire(import.meta.url).resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json');
    const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: false });
    const validate = ajv.compile(JSON.parse(readFileSync(path, 'utf8')));
    expect(validate(body), ajv.errorsText(validate.errors)).toBe(true);
    expect(Object.keys(body.channels.agent.messages)).toEqual(
      expect.arrayContaining(['register', 'stats', 'deregister', 'registered', 'heartbeat', 'error']),
    );
    expect(body.channels.agent.messages.register.payload.properties.node.required).toContain('hostname');
    expect(Object.keys(body.channels.dashboard.messages)).toEqual(
      expect.arrayContaining([
        'subscribe',
        'subscribeAck',
        'snapshot',
        'changes',
        'resync',
        'hub',
        'nodeAck',
      ]),
    );
  });

  it('[MET-1] /metrics tells every figure under its name, and the counts follow what happens', async () => {
    await api.call('POST', '/api/v1/nodes', { node: { hostname: 'metered', nodeId: 'metered' } });
    await api.call('POST', '/api/v1/nodes/metered/heartbeat', { stats: { cpuPercent: 1 } });
    const { text, headers } = await api.call('GET', '/metrics');
    expect(headers.get('content-type')).toContain('version=0.0.4');
    for (const name of [
      'agents_connected',
      'registrations_total',
      'heartbeats_total',
      'http_heartbeats_total',
      'changes_total',
      'detection_overshoot_seconds_bucket',
      'flush_heartbeats_bucket',
      'flush_duration_seconds_bucket',
      'tick_lag_seconds',
      'last_tick_timestamp_seconds',
      'store_duration_seconds_bucket',
      'store_errors_total',
      'dashboards',
      'dashboards_buffered_bytes',
      'resyncs_total',
      'event_streams',
      'heartbeat_interval_seconds',
      'store_live',
      'hubs',
    ]) {
      expect(text).toContain(`# HELP rollcall_${name.replace(/_bucket$/, '')} `);
    }
    expect(text).toContain('rollcall_nodes{status="online"} 1');
    expect(text).toContain('rollcall_registrations_total{type="registered",transport="http"} 1');
    expect(text).toContain('rollcall_changes_total{from="none",to="online",reason="registered"} 1');
    expect(text).toContain('rollcall_heartbeats_total{kind="stats"} 1');
    expect(text).toContain('rollcall_http_heartbeats_total 1');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('[MET-2] every metric and alert that docs, dashboard and rules name is there', async () => {
    const { text } = await api.call('GET', '/metrics');
    const [docs, rules, dashboard] = [
      'docs/OPERATIONS.md',
      'deploy/prometheus-alerts.yaml',
      'deploy/grafana-dashboard.json',
    ].map((path) => readFileSync(path, 'utf8'));
    const named = `${docs} ${rules} ${dashboard}`.match(/\b(rollcall|nodejs|process)_[a-z0-9_]+/g) ?? [];
    const told = new Set(text.match(/(?<=# HELP )\S+/g));
    for (const name of new Set(named)) expect(told, name).toContain(name.replace(/_bucket$/, ''));
    const alerts = new Set(rules?.match(/(?<=alert: )\S+/g));
    expect(new Set(docs?.match(/\bRollcall[A-Z]\w+/g))).toEqual(alerts);
    const mentioned = new Set(docs?.match(/\brollcall_[a-z0-9_]+/g));
    const resyncs = 'rollcall_event_streams_buffered_bytes';
    for (const name of told)
      if (name.startsWith('rollcall_') && name !== resyncs) expect(mentioned, name).toContain(name);
  });
});
