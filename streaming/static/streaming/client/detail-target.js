/** An `EventTarget` that says which events it has: each is a `CustomEvent`, and the type `Details` has by its name what `detail` is. */

/**
 * @template Details
 * @template {keyof Details} Name
 * @typedef {((event: CustomEvent<Details[Name]>) => void) | {handleEvent(event: CustomEvent<Details[Name]>): void} | null} DetailListener
 */

/**
 * @template Details
 * @typedef {object} DetailEvents
 * @property {<Name extends keyof Details & string>(type: Name, listener: DetailListener<Details, Name>,
 *   options?: boolean | AddEventListenerOptions) => void} addEventListener
 * @property {<Name extends keyof Details & string>(type: Name, listener: DetailListener<Details, Name>,
 *   options?: boolean | EventListenerOptions) => void} removeEventListener
 * @property {(event: Event) => boolean} dispatchEvent
 */

/** @type {new <Details>() => DetailEvents<Details>} */
export const DetailTarget = /** @type {any} */ (EventTarget);
