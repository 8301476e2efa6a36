/** What the location of a database says: a path is a SQLite file's. */
export const isPostgres = (location: string): boolean => /^postgres(ql)?:\/\//.test(location)
