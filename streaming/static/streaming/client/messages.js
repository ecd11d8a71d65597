/**
 * The parts of the server's messages, and the GeoJSON in them (RFC 7946), as types: there is nothing here at run time. Names and
 * fields are those of the geo protocol.
 */

/**
 * @typedef {number[]} Coordinates longitude, latitude, and what follows them (an altitude)
 *
 * @typedef {{type: "Point", coordinates: Coordinates} | {type: "MultiPoint", coordinates: Coordinates[]}
 *   | {type: "LineString", coordinates: Coordinates[]} | {type: "MultiLineString", coordinates: Coordinates[][]}
 *   | {type: "Polygon", coordinates: Coordinates[][]} | {type: "MultiPolygon", coordinates: Coordinates[][][]}
 *   | {type: "GeometryCollection", geometries: Geometry[]}} Geometry
 *
 * @typedef {object} Feature
 * @property {"Feature"} type
 * @property {string | number} [id]
 * @property {Geometry | null} geometry
 * @property {Record<string, any> | null} properties
 */

/**
 * @typedef {[number, number, number, number]} BBox west, south, east, north in degrees; west > east crosses the antimeridian
 *
 * @typedef {string | Record<string, string>} Cursor of a subscription to every layer: one for each
 *
 * @typedef {"file_change" | "processing_status" | "error" | "progress" | "custom" | "alert"} EventType
 *
 * @typedef {object} ZoomRange
 * @property {number} start
 * @property {number} end not included
 */

/**
 * @typedef {object} Ack what the server answers to a request
 * @property {string} request_id
 * @property {boolean} success
 * @property {string | null} [message]
 * @property {Cursor | null} [cursor]
 * @property {number | null} [snapshot_count]
 * @property {boolean | null} [recovered] of a resume: whether exactly what was missed is sent, not the whole state
 * @property {string | null} [code]
 * @property {number | null} [tile_count] tiles in view, empty ones too
 * @property {Record<string, TilesetInfo> | null} [tilesets]
 * @property {Aggregate | null} [aggregate] with the resolution that was taken
 * @property {number | null} [matched] of an aggregate: how many features the cells in view hold together
 *
 * @typedef {object} Aggregate cells instead of features; either `resolution` or `zoom`
 * @property {"h3" | "grid"} by the hexagons of H3, or the squares of map tiles
 * @property {number} [resolution] of H3 0 to 15; of the grid the zoom of the squares, 0 to 30
 * @property {number} [zoom] of a map with tiles of 256 pixels; the server chooses the resolution
 * @property {string[]} [properties] whose numbers are summed up in each cell
 *
 * @typedef {object} TilesetInfo what the server says of a tileset
 * @property {string} format
 * @property {string} mime_type
 * @property {number} tile_size
 * @property {number} min_zoom
 * @property {number} max_zoom included
 * @property {BBox} bounds
 * @property {string} attribution
 * @property {string | null} [version] its state, for those who asked for notices; null where nothing names it
 *
 * @typedef {object} SubscriptionInfo what was asked for, and how far it has been served
 * @property {string} subscription_id
 * @property {string} kind
 * @property {string | null} [layer]
 * @property {BBox | null} [bbox]
 * @property {[string, string][] | null} [filters]
 * @property {Record<string, any> | null} [geometry]
 * @property {[number, number] | null} [center]
 * @property {number | null} [radius_m]
 * @property {string | null} [datetime]
 * @property {string | Record<string, any> | null} [filter]
 * @property {string | null} [filter_lang]
 * @property {number | string | null} [crs]
 * @property {string[] | null} [properties]
 * @property {number | null} [max_rate]
 * @property {number | null} [min_distance]
 * @property {boolean | null} [batch]
 * @property {Aggregate | null} [aggregate]
 * @property {EventType[] | null} [event_types]
 * @property {Cursor | null} [cursor]
 * @property {string | string[] | null} [tileset]
 * @property {ZoomRange | null} [zoom_range]
 * @property {number | null} [tile_size]
 * @property {string[] | null} [delta]
 * @property {boolean | null} [notices]
 */

/**
 * @typedef {object} FeatureData
 * @property {string} subscription_id
 * @property {string} geojson a Feature, or of a batch a FeatureCollection, as JSON text
 * @property {"added" | "updated" | "deleted"} change_type
 * @property {string | null} [layer]
 * @property {string | number | null} [id]
 * @property {string | null} [cursor]
 * @property {string | null} [reason]
 * @property {string | string[] | null} [version] names what the feature is now, for those who asked for deltas; in a batch a list
 * @property {string | null} [encoding] `merge-patch`: `geojson` is what has changed since `base_version`
 * @property {string | string[] | null} [base_version]
 *
 * @typedef {object} Event
 * @property {string} subscription_id
 * @property {EventType} event_type
 * @property {any} payload
 * @property {string} timestamp
 * @property {string | null} [cursor]
 * @property {number | null} [gap]
 *
 * @typedef {object} TileData
 * @property {"tile_data"} type
 * @property {string} subscription_id
 * @property {[number, number, number]} tile x, y, zoom
 * @property {Uint8Array | string | number[]} data
 * @property {string} mime_type
 * @property {string | null} [tileset]
 * @property {string | null} [version]
 * @property {string | null} [encoding]
 * @property {string | null} [base_version]
 *
 * @typedef {object} LayerDictionary a zstd dictionary that the client does not hold
 * @property {string} layer
 * @property {number} id by which frames name it
 * @property {string} url a path from the root of the server
 * @property {number} size bytes
 *
 * @typedef {{type: "tiles_ready", subscription_id: string}} TilesReady
 *
 * @typedef {object} TilesChanged
 * @property {string} subscription_id
 * @property {string} tileset
 * @property {[number, number, number][] | null} tiles x, y, zoom; null: any in view
 * @property {string | null} version
 */
export {};
