// Include last in every file of decisions and flows: proves that no server header came in.
#ifdef POSTGRES_H
#error "decisions and flows see values only: server headers belong in src/pg"
#endif
