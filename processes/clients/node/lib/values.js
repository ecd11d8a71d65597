// Inputs and outputs: values, blobs and links, as messages have them.

import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BadInput, JobFailed } from "./errors.js";

const BINARY_INLINE = 32 * 1024;
const PAUSES = [200, 500, 1000, 2000, 4000, 8000, 16_000, 16_000];

/** Whether values of a schema are bytes. */
export function isBinary(schema) {
  return [schema, ...(schema.oneOf ?? [])].some((each) => ["binary", "base64"].includes(each.contentEncoding));
}

/** The blobs of one server. */
export class Blobs {
  constructor(url, token, limits) {
    Object.assign(this, { url, token, limits });
  }

  /** Store bytes; returns what a message says of them. */
  async upload(data, mediaType) {
    if (data.length > this.limits.blobBytes) throw new JobFailed(`a result has ${data.length} bytes`, { title: "Result too large" });
    const blob = { id: randomUUID(), size: data.length, sha256: createHash("sha256").update(data).digest("hex") };
    const headers = { "content-type": mediaType, "content-sha256": blob.sha256 };
    await this.#patiently(() => this.#fetch(blob.id, { method: "PUT", body: data, headers }), "a value could not be uploaded");
    return blob;
  }

  async download(blob) {
    const data = await this.#patiently(
      async () => Buffer.from(await (await this.#fetch(blob.id)).arrayBuffer()),
      "an input could not be downloaded",
    );
    if (blob.sha256 && createHash("sha256").update(data).digest("hex") !== blob.sha256) {
      throw new JobFailed("an input was damaged on its way", { title: "Input damaged", retryable: true });
    }
    return data;
  }

  async #fetch(id, { headers = {}, ...options } = {}) {
    const response = await fetch(`${this.url}/${id}`, { ...options, headers: { authorization: `Bearer ${this.token}`, ...headers } });
    if (response.ok) return response;
    const temporary = response.status >= 500 || response.status === 429;
    throw new JobFailed(`HTTP status ${response.status}`, { retryable: temporary });
  }

  async #patiently(work, failure) {
    let why;
    for (const pause of PAUSES) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof JobFailed && !error.retryable) throw new JobFailed(`${failure}: ${error.message}`);
        why = error;
      }
      await sleep(pause);
    }
    throw new JobFailed(`${failure}: ${why.message}`, { retryable: true });
  }
}

/** What a function is called with: of each input its value, or the list of them where it may occur more than once. */
export async function readInputs(description, inputs, blobs) {
  const read = {};
  for (const [name, parts] of Object.entries(inputs ?? {})) {
    const described = description.inputs[name];
    if (described === undefined) throw new BadInput(`there is no input ${name}`, name);
    const values = [];
    for (const part of parts) values.push(await readValue(name, part, isBinary(described.schema), blobs));
    read[name] = (described.maxOccurs ?? 1) === 1 ? values[0] : values;
  }
  return read;
}

async function readValue(name, part, binary, blobs) {
  if (part.blob) {
    const data = await blobs.download(part.blob);
    return binary ? data : JSON.parse(data.toString()); // what is not binary is JSON, whatever its media type
  }
  if (part.href) {
    if (!/^https?:/i.test(part.href)) throw new BadInput("only links with http and https are followed", name);
    const response = await fetch(part.href).catch((error) => error);
    if (!response.ok) throw new BadInput(`${part.href} cannot be read: ${response.status ?? response.message}`, name);
    const data = Buffer.from(await response.arrayBuffer());
    if (binary) return data;
    try {
      return JSON.parse(data.toString());
    } catch {
      return data.toString();
    }
  }
  return binary ? Buffer.from(part.value, "base64") : part.value;
}

/** An output as a message has it: what is large is uploaded before. */
export async function writeValue(value, requested, schema, blobs) {
  const { inlineBytes } = blobs.limits;
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) {
    const branch = [schema, ...(schema?.oneOf ?? [])].find((each) => each?.contentMediaType);
    const mediaType = requested?.mediaType ?? branch?.contentMediaType ?? "application/octet-stream";
    const data = Buffer.from(value);
    if (data.length <= Math.min(BINARY_INLINE, inlineBytes / 2)) return { value: data.toString("base64"), mediaType };
    return { blob: await blobs.upload(data, mediaType), mediaType };
  }
  const data = Buffer.from(JSON.stringify(value ?? null));
  const named = schema?.contentMediaType ? { mediaType: schema.contentMediaType } : {};
  if (data.length <= inlineBytes / 4) return { value: value ?? null, ...named };
  return { blob: await blobs.upload(data, schema?.contentMediaType ?? "application/json"), ...named };
}
