/** Runs until it is killed, whoever ends. */
setInterval(() => {}, 60_000)
process.on('disconnect', () => {})
