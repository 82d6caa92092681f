FROM python:3.13-slim

RUN useradd --uid 1000 --create-home app
WORKDIR /app

# Editable, so that src/ is the only copy of the code: the service, which no wheel ships, is
# importable with it, and a checkout mounted over it takes effect. What the metadata needs comes
# first and alone; the dependencies' layer then outlives every other change of the code.
COPY pyproject.toml README.md LICENSE ./
COPY src/db_ops/__init__.py src/db_ops/
RUN pip install --no-cache-dir --editable .

COPY . .
# For every uid, whatever umask the checkout was made with.
RUN chmod -R a+rX .

# No embedded server is in here, and a loopback address may be the proxy of a real database.
ENV DB_OPS_ENVIRONMENT=production

# A number, because Kubernetes' runAsNonRoot cannot judge a name. Any other uid works as well.
USER 1000:1000

ENTRYPOINT ["/app/scripts/container-entrypoint.sh"]
# The service has no server process: a container migrates, reports and ends.
CMD ["db-ops", "status"]
