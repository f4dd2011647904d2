/** The netplugin program. The doorkeeper is a mode of it that loads next to nothing. */
const [, , command, options] = process.argv;
if (command === 'doorkeeper' && options !== undefined) await (await import('./doorkeeper.js')).runDoorkeeper(options);
else await (await import('./cli.js')).main();
