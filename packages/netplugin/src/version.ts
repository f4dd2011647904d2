/** Version of the program; agents and masters of one major version understand each other. */
export const VERSION = '2.0.0';
