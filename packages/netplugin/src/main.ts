/** The netplugin program. The doorkeeper is a mode of it that loads next to nothing. */
const [, , command, options] = process.argv;
if (command === 'doorkeeper' && options !== undefined) void import('./doorkeeper.js').then(({ runDoorkeeper }) => runDoorkeeper(options));
else void import('./cli.js').then(({ main }) => main());
