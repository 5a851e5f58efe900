"""The record in a SQL database: an embedded SQLite by default, or a PostgreSQL, by SQLAlchemy Core.

`tables` holds the schema, `migrations` how it came to be. `database` says what differs between engines, `sqlite` and
`postgresql` how. `worker` holds a worker's calls, `changes` the controller's, `views` the readers'; `store` puts them
together.
"""
