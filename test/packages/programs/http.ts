import { httpSides } from './http-sides.js';
import { play } from './side.js';

await play(httpSides(false));
