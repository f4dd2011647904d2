/** All that a connection to netmaster takes, in one module so that a bundle leaves out what the two libraries have besides. */
export { parseUrls, RestClient } from '@contiv/client';
export { VERSION } from '@contiv/model';
