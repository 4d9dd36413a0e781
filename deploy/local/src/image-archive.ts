import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Layer } from './layers.ts';

/** What a container of the image runs, in the words of the OCI image configuration. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
}

export interface Image {
  /** `localhost/<name>:<hash>`: the tag changes whenever anything in the image does. */
  readonly reference: string;
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}

interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly mediaType: string;
  readonly content: Buffer | string;
}

const ociType = 'application/vnd.oci.image';

/**
 * Writes images as one OCI layout in a tar, as `ctr images import -` reads it, and closes the stream.
 * @param has tells which blobs (`sha256:…`) the reader owns already; they are left out.
 */
export async function writeArchive(images: readonly Image[], out: Writable, has: (digest: string) => boolean): Promise<void> {
  const written = new Set<string>();
  const put = async (name: string, size: number, content: Buffer | AsyncIterable<Buffer>): Promise<void> => {
    await write(out, tarHeader(name, size));
    if (Buffer.isBuffer(content)) await write(out, content);
    else for await (const chunk of content) await write(out, chunk);
    await write(out, Buffer.alloc((512 - (size % 512)) % 512));
  };
  const manifests = [];
  for (const image of images) {
    const blobs = imageBlobs(image);
    for (const { digest, size, content } of blobs) {
      if (written.has(digest) || (has(digest) && typeof content === 'string')) continue;
      written.add(digest);
      const name = `blobs/sha256/${digest.slice('sha256:'.length)}`;
      await put(name, size, typeof content === 'string' ? createReadStream(content) : content);
    }
    const manifest = blobs.at(-1);
    if (manifest === undefined) throw new Error(`${image.reference} has no manifest`);
    const annotations = { 'io.containerd.image.name': image.reference, 'org.opencontainers.image.ref.name': image.reference };
    manifests.push({ ...descriptor(manifest), annotations });
  }
  const index = json({ schemaVersion: 2, mediaType: `${ociType}.index.v1+json`, manifests });
  await put('index.json', index.length, index);
  const layout = json({ imageLayoutVersion: '1.0.0' });
  await put('oci-layout', layout.length, layout);
  await write(out, Buffer.alloc(1024));
  out.end();
  await finished(out);
}

/** Layers, then configuration, then manifest. */
export function imageBlobs(image: Image): Blob[] {
  const layers = image.layers.map(({ digest, size, path }) => ({ digest, size, mediaType: `${ociType}.layer.v1.tar`, content: path }));
  const config = blob(`${ociType}.config.v1+json`, {
    architecture: 'amd64',
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest = blob(`${ociType}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${ociType}.manifest.v1+json`,
    config: descriptor(config),
    layers: layers.map(descriptor),
  });
  return [...layers, config, manifest];
}

/** A ustar header of a plain file. */
export function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  if (Buffer.byteLength(name) > 100) throw new Error(`tar name ${name} is longer than 100 bytes`);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

function blob(mediaType: string, value: unknown): Blob {
  const content = json(value);
  return { digest: `sha256:${createHash('sha256').update(content).digest('hex')}`, size: content.length, mediaType, content };
}

function descriptor({ mediaType, digest, size }: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

async function write(out: Writable, chunk: Buffer): Promise<void> {
  if (chunk.length === 0 || out.write(chunk)) return;
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: Error): void => {
      out.off('drain', onDrain).off('error', settle).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onDrain = (): void => settle();
    const onClose = (): void => settle(new Error('the reader of the image archive went away'));
    out.once('drain', onDrain).once('error', settle).once('close', onClose);
  });
}
