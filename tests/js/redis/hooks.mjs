/** Node.js may load the package, which is written for bundlers: modules without `"type": "module"`, imported without `.js`. */
const PACKAGE = "/node_modules/mobility-toolbox-js/";

export function resolve(specifier, context, next) {
  const bare = specifier.startsWith(".") && !specifier.endsWith(".js") && context.parentURL?.includes(PACKAGE);
  return next(bare ? `${specifier}.js` : specifier, context);
}

export function load(url, context, next) {
  return next(url, url.includes(PACKAGE) ? { ...context, format: "module" } : context);
}
