FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements requirements
RUN python -m venv /opt/pointsman \
    && /opt/pointsman/bin/pip install --no-cache-dir --require-hashes -r requirements/setup.txt \
    && /opt/pointsman/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY service service
COPY triggers triggers
COPY actions actions
RUN /opt/pointsman/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/pointsman --create-home pointsman
COPY --from=build /opt/pointsman /opt/pointsman
ENV PATH=/opt/pointsman/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    POINTSMAN_DATA=/var/lib/pointsman \
    POINTSMAN_CONFIG=/etc/pointsman/pointsman.yaml \
    POINTSMAN_HOST=0.0.0.0
USER pointsman
VOLUME /var/lib/pointsman
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8081/health/ready', timeout=2)"]
ENTRYPOINT ["pointsman"]
CMD ["serve"]
