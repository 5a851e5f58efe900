"""How the schema came to be, one file a version. Imported only when a database is not at the newest one."""
