from types import SimpleNamespace

settings = SimpleNamespace(
    database=SimpleNamespace(url="postgresql+psycopg2://app:secret@localhost:5432/app")
)
