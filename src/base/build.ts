/**
 * The newest format that this build reads and, once all members read it, writes. What is said here
 * is a property of the build: no option and no environment changes it.
 */
export const NEWEST_FORMAT: number = 1
