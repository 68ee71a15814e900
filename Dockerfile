FROM python:3.13-slim AS build
ENV UV_PROJECT_ENVIRONMENT=/opt/medianest UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv
WORKDIR /src
# First what changes seldom: the dependencies have a layer of their own.
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --extra embedded --no-install-project
COPY domain domain
COPY application application
COPY projections projections
COPY interfaces interfaces
COPY infrastructure infrastructure
RUN uv sync --frozen --no-dev --extra embedded --no-editable

FROM python:3.13-slim
RUN useradd --system --uid 1000 --create-home medianest && install -d -o medianest /data
COPY --from=build /opt/medianest /opt/medianest
ENV PATH=/opt/medianest/bin:$PATH MEDIANEST_HOST=0.0.0.0 MEDIANEST_DATA_DIR=/data
USER medianest
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["medianest"]
# Everything in one container, on embedded servers; docker-compose.yml runs the roles apart.
CMD ["up"]
