/** How processes of one user that share a socket find and talk to each other. Nothing here knows what a socket is. */
export { ShareChannel } from './channel.js';
export { type Found, type Offer, SharePlace } from './place.js';
