/** The preload as an URL: absolute, and of ASCII without spaces, so that NODE_OPTIONS takes it as it is. */
export const preload = new URL('../register/index.js', import.meta.url).href;
