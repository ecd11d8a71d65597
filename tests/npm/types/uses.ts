// What users of the package write, with every public member: this has to compile.
import * as msgpack from "@msgpack/msgpack";
import * as fzstd from "fzstd";
import {
  type Ack,
  type Aggregate,
  type AnySubscription,
  type BBox,
  type BackoffOptions,
  type Change,
  type ClientEvents,
  type ClientOptions,
  type Cursor,
  EVENT_TYPES,
  type EventOptions,
  EventSubscription,
  type EventType,
  type Feature,
  type FeatureConditions,
  type FeatureEvents,
  type FeatureOptions,
  FeatureSubscription,
  type Geometry,
  GeoStreamClient,
  GeoStreamError,
  type HeldTile,
  type Picture,
  type Pictures,
  type Ready,
  type State,
  type StateChange,
  type StreamEvent,
  type SubscriptionInfo,
  type TileChange,
  type TileEvents,
  type TileNotice,
  type TileNoticeEvents,
  type TileNoticeOptions,
  TileNoticeSubscription,
  type TileNoticeView,
  type TileOptions,
  type TileSubscription,
  type TileView,
  type TilesetInfo,
  type ZoomRange,
} from "geostream-client";
import { GeoStreamClient as PlainClient } from "geostream-client/geostream.js";

/** Only a value of exactly this type is taken: not `any`, and nothing wider or narrower. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function exactly<Expected>() {
  return <Given>(value: Given, ...same: Same<Given, Expected> extends true ? [] : [never]): Given => value;
}

const backoff: BackoffOptions = { initial: 100, max: 5_000, random: () => 0.5 };
const options: ClientOptions = {
  format: "MessagePack",
  compression: "Zstd",
  token: "a.b.c",
  getToken: async () => "a.b.c",
  getTicket: () => "ticket",
  WebSocket,
  msgpack,
  fzstd,
  backoff,
  connectTimeout: 1,
  stableAfter: 1,
  pingInterval: 1,
  pingTimeout: 1,
};
new PlainClient("/ws", { msgpack: "/msgpack.mjs", fzstd: new URL("https://example.org/fzstd.mjs") });
new PlainClient("/ws", { msgpack: () => import("@msgpack/msgpack"), fzstd: () => import("fzstd") });
new GeoStreamClient("/ws", { fzstd: null });
new GeoStreamClient("/ws", { dictionaries: true });

const client = new GeoStreamClient(new URL("wss://example.org/ws"), options);
const plain: PlainClient = client;
const target: EventTarget = client;

export async function useClient(): Promise<void> {
  exactly<URL>()(client.url);
  exactly<State>()(client.state);
  exactly<number | undefined>()(client.latency);
  exactly<number>()(client.stats.messages + client.stats.bytes + client.stats.connections);
  exactly<void>()(await client.connect());
  exactly<number>()(await client.ping());
  await client.authenticate("a.b.c");
  const [info]: SubscriptionInfo[] = await client.listSubscriptions();
  exactly<string>()(info.subscription_id + info.kind);
  exactly<string | null | undefined>()(info.layer ?? info.datetime ?? info.filter_lang);
  exactly<BBox | null | undefined>()(info.bbox);
  exactly<[string, string][] | null | undefined>()(info.filters);
  exactly<number | null | undefined>()(info.max_rate ?? info.min_distance ?? info.radius_m ?? info.tile_size);
  exactly<string[] | null | undefined>()(info.properties ?? info.delta);
  exactly<EventType[] | null | undefined>()(info.event_types);
  exactly<Cursor | null | undefined>()(info.cursor);
  exactly<[number, number] | null | undefined>()(info.center);
  exactly<boolean | null | undefined>()(info.batch);
  exactly<ZoomRange | null | undefined>()(info.zoom_range);
  exactly<string | string[] | null | undefined>()(info.tileset);
  exactly<string | number | null | undefined>()(info.crs);
  console.log(info.geometry, info.filter);
  await client.unsubscribe("nobody");
  exactly<boolean | null | undefined>()(info.notices);
  const all: AnySubscription[] = [useFeatures(), useTiles(), useNotices(), useEvents()];
  for (const subscription of all) await client.unsubscribe(subscription);
  client.retry();
  client.close();
}

function listen(): void {
  const watch = ({ detail }: CustomEvent<StateChange>) => {
    if (detail.state === "reconnecting") exactly<number>()(detail.retryAt + detail.delay + detail.attempt);
    if (detail.state === "connecting") exactly<number>()(detail.attempt);
    if (detail.state === "closed") exactly<string>()(`${detail.code}${detail.reason}`);
  };
  client.addEventListener("state", watch, { once: true });
  client.removeEventListener("state", watch);
  client.addEventListener("closed", ({ detail: { code, reason } }) => exactly<string>()(reason.repeat(code)));
  client.addEventListener("latency", ({ detail }) => exactly<number>()(detail));
  client.addEventListener("error", { handleEvent: ({ detail }) => exactly<GeoStreamError>()(detail) });
  client.dispatchEvent(new CustomEvent("mine"));
  const details: ClientEvents["closed"] = { code: 1000, reason: "" };
  console.log(details, target, plain);
}

function useFeatures(): FeatureSubscription {
  const geometry: Geometry = {
    type: "Polygon",
    coordinates: [
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 0],
      ],
    ],
  };
  const conditions: FeatureConditions = {
    bbox: [5, 45, 11, 48],
    geometry,
    filters: { kind: "flight", level: 3 },
    datetime: "2026-01-01T00:00:00Z/..",
    filter: { op: "=", args: [] },
    filterLang: "cql2-json",
    crs: "EPSG:3857",
    properties: ["callsign"],
    maxRate: 1,
    minDistance: 50,
    center: [8.5, 47.4],
    radiusM: 1000,
  };
  const asked: FeatureOptions = { ...conditions, batch: false, snapshot: true, cursor: null, queueSize: 10, id: "flights" };
  const every = client.subscribeFeatures(null);
  const flights = client.subscribeFeatures("flights", asked);
  exactly<string | null>()(flights.layer);
  exactly<string>()(flights.id);
  exactly<boolean>()(flights.closed);
  exactly<number>()(flights.queueSize);
  exactly<Cursor | null>()(flights.cursor);
  exactly<Map<string | number, Feature>>()(flights.features);
  exactly<number | null>()(flights.announced);
  exactly<Feature | undefined>()(every.get(1, "flights"));
  flights.update({ bbox: null, filter: "altitude_ft > 30000", filters: [["kind", "flight"]] });
  const asEventTarget: EventTarget = flights;
  flights.addEventListener("change", ({ detail }) => exactly<Change>()(detail));
  flights.addEventListener("changes", ({ detail }) => exactly<Change[]>()(detail));
  flights.addEventListener("ready", ({ detail }) => exactly<Ready>()(detail));
  flights.addEventListener("error", ({ detail }) => exactly<string>()(detail.code + detail.message + detail.name));
  console.log(asEventTarget, flights instanceof FeatureSubscription);
  return flights;
}

export async function iterate(flights: FeatureSubscription): Promise<void> {
  exactly<void>()(await flights.whenReady());
  for await (const change of flights) {
    exactly<"added" | "updated" | "deleted">()(change.type);
    exactly<string | null>()(change.layer ?? change.reason);
    exactly<string | number>()(change.id);
    exactly<Feature | null>()(change.previous);
    exactly<number | undefined>()(change.gap);
    const { type, id, geometry, properties } = exactly<Feature>()(change.feature);
    if (geometry?.type === "Point") exactly<number[]>()(geometry.coordinates);
    if (geometry?.type === "GeometryCollection") exactly<Geometry[]>()(geometry.geometries);
    console.log(type, id, properties?.callsign);
  }
  const named: FeatureEvents["change"] | undefined = undefined;
  console.log(named);
  exactly<void>()(await flights.unsubscribe());
}

function useTiles(): TileSubscription {
  const pictures: Pictures = {
    delta: ["patch+webp"],
    open: async (data: Uint8Array, mimeType: string): Promise<Picture> => {
      throw new Error(`${data.length} bytes of ${mimeType}`);
    },
  };
  const asked: TileOptions = {
    tileset: ["relief"],
    bbox: [5, 45, 11, 48],
    zoomRange: { start: 4, end: 6 },
    tileSize: 512,
    delta: ["prefix+zstd"],
    pictures,
    dataEncoding: "base64",
    progress: false,
    queueSize: 10,
    id: "relief",
  };
  const view: TileView = { zoomRange: { start: 5, end: 6 } };
  const relief = client.subscribeTiles(asked);
  relief.update(view);
  exactly<boolean>()(relief.ready);
  exactly<number>()(relief.stats.tiles + relief.stats.deltas + relief.stats.received + relief.stats.whole);
  exactly<Map<string, HeldTile>>()(relief.tiles);
  exactly<TilesetInfo>()(relief.tilesets.relief);
  exactly<BBox>()(relief.tilesets.relief.bounds);
  const { tile_size, min_zoom, max_zoom, format, mime_type, attribution } = relief.tilesets.relief;
  exactly<string>()(`${tile_size + min_zoom + max_zoom}${format}${mime_type}${attribution}`);
  const held = exactly<HeldTile | undefined>()(relief.get("relief", 4, 8, 5));
  if (held) exactly<string>()(`${held.tileset}/${held.z}/${held.x}/${held.y}: ${held.version} ${held.mimeType} ${held.empty}`);
  exactly<Uint8Array | null | undefined>()(held?.bytes);
  exactly<Picture | null | undefined>()(held?.picture);
  relief.addEventListener("tile", ({ detail }) => exactly<TileEvents["tile"]>()(detail));
  relief.addEventListener("view", ({ detail }) => exactly<Ack>()(detail));
  relief.addEventListener("view", ({ detail: { request_id, success, message, cursor, code, tilesets } }) =>
    console.log(request_id, success, message, cursor, code, tilesets?.relief),
  );
  relief.addEventListener("ready", ({ detail: { count, recovered, snapshot_count, tile_count } }) =>
    console.log(count, recovered, snapshot_count, tile_count),
  );
  return relief;
}

export async function paint(relief: TileSubscription, page: CanvasRenderingContext2D): Promise<void> {
  for await (const tile of relief) {
    const { tileset, x, y, z, version, mimeType, empty, bytes, picture, encoding, received, whole, gap } = tile;
    exactly<string>()(tileset + version + mimeType);
    exactly<number>()(x + y + z + received + whole);
    exactly<boolean>()(empty);
    exactly<Uint8Array | null>()(bytes);
    exactly<string | null>()(encoding);
    exactly<number | undefined>()(gap);
    if (!picture) continue;
    page.drawImage(picture.canvas, 0, 0);
    picture.change((pixels) => pixels);
    await picture.patch(0, 0, new Uint8Array());
  }
  const last: TileChange | null = null;
  console.log(last);
}

function useNotices(): TileNoticeSubscription {
  const asked: TileNoticeOptions = { tileset: ["relief"], bbox: [5, 45, 11, 48], zoomRange: { start: 4, end: 6 }, queueSize: 10, id: "n" };
  const view: TileNoticeView = { bbox: [6, 46, 8, 47] };
  client.subscribeTileNotices();
  const notices = client.subscribeTileNotices(asked);
  notices.update(view);
  notices.addEventListener("changed", ({ detail }) => exactly<TileNoticeEvents["changed"]>()(detail));
  notices.addEventListener("view", ({ detail }) => exactly<string | null | undefined>()(detail.tilesets?.relief.version));
  console.log(notices instanceof TileNoticeSubscription);
  return notices;
}

export async function fetchAgain(notices: TileNoticeSubscription): Promise<void> {
  for await (const notice of notices) {
    exactly<string | null>()(exactly<TileNotice & { gap?: number }>()(notice).version);
    exactly<string>()(notice.tileset);
    for (const { x, y, z } of notice.tiles ?? []) exactly<number>()(x + y + z);
  }
}

function useCells(): void {
  const aggregate: Aggregate = { by: "h3", zoom: 6, properties: ["speed"] };
  const cells = client.subscribeFeatures("flights", { aggregate });
  cells.update({ aggregate: { by: "grid", resolution: 7 } });
  exactly<number | null>()(cells.matched);
  exactly<Aggregate | null>()(cells.aggregate);
  cells.addEventListener("ready", ({ detail }) => console.log(detail.matched, detail.aggregate));
}

function useEvents(): EventSubscription {
  const asked: EventOptions = {
    filter: "current > 2",
    filters: [["kind", "flight"]],
    filterLang: "cql2-text",
    cursor: "a:1",
    queueSize: 1,
    id: "e",
  };
  const events = client.subscribeEvents(["progress", "custom"], asked);
  client.subscribeEvents(EVENT_TYPES, { cursor: events.cursor });
  exactly<readonly EventType[]>()(events.types);
  events.addEventListener("event", ({ detail: { type, payload, timestamp, gap, cursor } }) => {
    exactly<EventType>()(type);
    exactly<string>()(timestamp);
    exactly<number | null>()(gap);
    exactly<string | null>()(cursor);
    console.log(payload.anything);
  });
  console.log(events instanceof EventSubscription);
  return events;
}

export async function follow(events: EventSubscription): Promise<void> {
  for await (const event of events) exactly<StreamEvent>()(event);
  throw new GeoStreamError("closed", "for people");
}

listen();
useCells();
