import { request } from 'node:http';

import { run } from '@cupel/integer/run';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { body, digits, pixels, startDigits } from './fixture.ts';

let engine: Awaited<ReturnType<typeof startDigits>>;
beforeAll(async () => {
  engine = await startDigits();
});
afterAll(() => engine.serving[Symbol.asyncDispose]());

const infer = (text: string, path = '/v2/models/digits/infer') =>
  fetch(`${engine.url}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: text });

describe('the Open Inference Protocol', () => {
  test('health, metadata and metrics', async () => {
    const get = async (path: string) => {
      const response = await fetch(`${engine.url}${path}`);
      return [response.status, await response.text()];
    };
    expect(await get('/v2/health/live')).toEqual([200, '{"live":true}']);
    expect(await get('/v2/health/ready')).toEqual([200, '{"ready":true}']);
    expect(await get('/v2/models/digits/ready')).toEqual([200, '{"name":"digits","ready":true}']);
    expect(await get('/v2')).toEqual([200, '{"name":"cupel-integer-engine","version":"0.1.0","extensions":[]}']);
    expect(await get('/metrics')).toEqual([200, expect.stringMatching(/^served \d+\n$/)]);
  });

  test('answers are bit-equal to packages/integer, fifty at once too', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => infer(body(pixels(i))).then((r) => r.json())));
    for (const [i, answer] of answers.entries()) {
      expect(answer).toEqual({
        model_name: 'digits',
        model_version: '1',
        outputs: [{ name: 'output', datatype: 'UINT8', shape: [1, 10], data: [...run(digits, Uint8Array.from(pixels(i)))] }],
      });
    }
  });

  test('a bad request says which field', async () => {
    const response = await infer(body(pixels(1).slice(1)));
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: 'inputs[0].data: want 196 numbers, got 195' });
    expect(engine.faults).toEqual([]);
  });

  test('unknown paths and models are 404, wrong methods 405 with the right one', async () => {
    const other = await infer(body(pixels(1)), '/v2/models/other/infer');
    expect([other.status, await other.json()]).toEqual([404, { error: 'no such model; this engine serves "digits"' }]);
    const got = await fetch(`${engine.url}/v2/models/digits/infer`);
    expect([got.status, got.headers.get('allow'), await got.json()]).toEqual([405, 'POST', { error: 'want POST' }]);
    expect(engine.served.at(-1)).toEqual({ endpoint: 'infer', code: 405 });
  });

  test('a body past the limit is 413, announced or not', async () => {
    const announced = await infer(' '.repeat(2_000_000));
    expect([announced.status, await announced.json()]).toEqual([413, { error: 'body: want at most 17952 bytes' }]);
    const chunked = await new Promise<number | undefined>((resolve, reject) => {
      const sent = request(`${engine.url}/v2/models/digits/infer`, { method: 'POST' }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on('error', reject);
      for (let i = 0; i < 20; i++) sent.write(' '.repeat(1000));
    });
    expect(chunked).toBe(413);
  });

  test('a client that leaves in mid-request harms nobody', async () => {
    await new Promise<void>((resolve) => {
      const sent = request(`${engine.url}/v2/models/digits/infer`, { method: 'POST', headers: { 'content-length': 1000 } });
      sent.on('error', () => resolve());
      sent.write('{', () => sent.destroy(new Error('gone')));
    });
    expect((await infer(body(pixels(1)))).status).toBe(200);
  });

  test('a failure inside is 500 without its text, and is reported', async () => {
    const broken = await startDigits(() => {
      throw new Error('secret detail');
    });
    const response = await fetch(`${broken.url}/v2/models/digits/infer`, { method: 'POST', body: body(pixels(1)) });
    expect([response.status, await response.text()]).toEqual([500, '{"error":"the engine failed; try again"}']);
    expect(broken.faults).toEqual([new Error('secret detail')]);
    await broken.serving[Symbol.asyncDispose]();
  });

  test('draining turns not ready, and stopping lets go of idle connections', async () => {
    const stopping = await startDigits();
    await fetch(`${stopping.url}/v2/health/live`).then((r) => r.text());
    stopping.serving.drain();
    const ready = await fetch(`${stopping.url}/v2/health/ready`);
    expect([ready.status, await ready.json()]).toEqual([503, { ready: false }]);
    await stopping.serving[Symbol.asyncDispose]();
    await expect(fetch(`${stopping.url}/v2/health/live`)).rejects.toThrow('fetch failed');
  });
});
