import os


class Settings:
    """Where this service's database is, from one variable."""

    @property
    def database_url(self):
        return os.environ["LIBRARY_DSN"].replace("postgresql://", "postgresql+psycopg://")


settings = Settings()
