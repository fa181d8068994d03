export { format } from './format.js';
export { parse } from './parse.js';
export { total } from './total.js';
