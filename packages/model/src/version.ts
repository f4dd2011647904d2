/** Version of the whole product; agent, masters and CLI of one major version understand each other. */
export const VERSION = '2.0.0';
