"""The record in a SQL database: an embedded SQLite by default, a PostgreSQL or a MariaDB, by SQLAlchemy Core.

`tables` holds the schema, `migrations` how it came to be. `database` says what differs between engines, `sqlite`,
`postgresql` and `mariadb` how. `worker` holds a worker's calls, `changes` the controller's, `views` the readers';
`store` puts them together.
"""
