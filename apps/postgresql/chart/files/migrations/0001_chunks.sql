-- One row is one piece of a document with the vector one model gave it. Vectors of different models, versions or
-- precisions are never compared: every query names all three.
CREATE EXTENSION IF NOT EXISTS vector;
SET LOCAL ROLE {{ .Values.schema.role }};
CREATE TABLE IF NOT EXISTS chunks (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document       text NOT NULL,
    position       integer NOT NULL CHECK (position >= 0),
    text           text NOT NULL,
    embedding      vector({{ .Values.vector.dimensions }}) NOT NULL,
    model          text NOT NULL,
    model_version  text NOT NULL,
    precision      text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (document, position, model, model_version, precision)
);
CREATE INDEX IF NOT EXISTS chunks_embedding_hnsw ON chunks USING hnsw (embedding vector_cosine_ops);
RESET ROLE;
