/** The icons of points: outlines in boxes from -1 to 1 that point north, as paths of SVG. Circles are drawn without one. */

/** @type {Record<string, string>} */
export const ICONS = {
  circle: "M-1 0A1 1 0 1 1 1 0A1 1 0 1 1-1 0Z",
  square: "M-.8-.8H.8V.8H-.8Z",
  diamond: "M0-1L1 0 0 1-1 0Z",
  triangle: "M0-.95L.95.75H-.95Z",
  star: "M0-1L.28-.38.95-.31.45.15.59.81 0 .46-.59.81-.45.15-.95-.31-.28-.38Z",
  cross: "M-.3-1H.3V-.3H1V.3H.3V1H-.3V.3H-1V-.3H-.3Z",
  pin: "M0 1C-.45.35-.75.1-.75-.3A.75.75 0 1 1 .75-.3C.75.1.45.35 0 1Z",
  arrow: "M0-.85L.62.72 0 .4-.62.72Z",
  aircraft: "M0-.92L.1-.72.13-.3.92.2V.4L.13.16.1.6.38.82V.95L0 .84-.38.95V.82L-.1.6-.13.16-.92.4V.2L-.13-.3-.1-.72Z",
  ship: "M0-1C.35-.6.48-.25.48.1V.9H-.48V.1C-.48-.25-.35-.6 0-1Z",
  car: "M-.3-.95H.3Q.52-.9.55-.55V.75Q.5.95.3.95H-.3Q-.5.95-.55.75V-.55Q-.52-.9-.3-.95ZM-.38-.35V-.1H.38V-.35Q0-.5-.38-.35Z",
};

/** Pixels across where a style says nothing of the size. */
export const usualSize = (icon) => ({ circle: 9, aircraft: 23, arrow: 18 })[icon] ?? 15;
