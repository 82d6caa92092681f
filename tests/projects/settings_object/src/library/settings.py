from pydantic import SecretStr
from pydantic_settings import BaseSettings
from sqlalchemy import URL


class Settings(BaseSettings):
    """The service's settings, from variables that begin with LIBRARY_ and from .env."""

    model_config = {"env_prefix": "LIBRARY_", "env_file": ".env", "extra": "ignore"}

    db_host: str = "localhost"
    db_port: int = 5432
    db_user: str = "app"
    db_password: SecretStr = SecretStr("secret")
    db_name: str = "app"

    @property
    def database_url(self):
        return URL.create(
            "postgresql+psycopg2",
            self.db_user,
            self.db_password.get_secret_value(),
            self.db_host,
            self.db_port,
            self.db_name,
        )
