import { describe, expect, it } from 'vitest';

import { startHealth } from '../src/health.ts';
import { createMetrics } from '../src/metrics.ts';

const get = async (port: number, path: string) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.text() };
};

describe('startHealth', () => {
  it('is live at once, ready when told so and no check fails', async () => {
    let problem: string | undefined = 'disconnected';
    const checks = {
      nats: () => problem,
      chain: () => {
        if (problem) throw new Error('boom');
        return undefined;
      },
    };
    await using health = await startHealth({ port: 0, metrics: createMetrics('test'), checks });
    expect(await get(health.port, '/livez')).toEqual({ status: 200, body: 'ok\n' });
    expect((await get(health.port, '/readyz')).status).toBe(503);
    health.setReady(true);
    expect(await get(health.port, '/readyz')).toEqual({ status: 503, body: 'nats: disconnected\nchain: boom\n' });
    problem = undefined;
    expect((await get(health.port, '/readyz?verbose')).status).toBe(200);
    health.setReady(false);
    expect((await get(health.port, '/readyz')).status).toBe(503);
    expect((await get(health.port, '/other')).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${health.port}/livez`, { method: 'POST' })).status).toBe(405);
  });

  it('serves metrics in the text format, named after the service', async () => {
    const metrics = createMetrics('integer-engine');
    const counter = metrics.counter({ name: 'requests_total', help: 'Requests.', labels: ['code'] });
    counter.inc({ code: '200' });
    counter.inc({ code: '200' }, 2);
    metrics.counter({ name: 'plain_total', help: 'Plain.' }).inc();
    metrics.gauge({ name: 'lag_seconds', help: 'Lag.' }).set({}, 4);
    metrics.histogram({ name: 'latency_seconds', help: 'Latency.', buckets: [0.1, 1] }).observe({}, 0.5);
    await using health = await startHealth({ port: 0, metrics, checks: {} });
    const { body } = await get(health.port, '/metrics');
    expect(body).toContain('cupel_integer_engine_requests_total{code="200"} 3');
    expect(body).toContain('cupel_integer_engine_plain_total 1');
    expect(body).toContain('cupel_integer_engine_lag_seconds 4');
    expect(body).toContain('cupel_integer_engine_latency_seconds_bucket{le="1"} 1');
    expect(body).toContain('process_cpu_seconds_total');
  });
});
