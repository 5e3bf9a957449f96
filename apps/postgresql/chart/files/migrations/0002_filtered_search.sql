-- Every query names a model, and rows of others are filtered after the index gave its neighbours: it goes on until there
-- are enough, nearest first.
ALTER DATABASE {{ .Values.schema.database }} SET hnsw.iterative_scan = 'strict_order';
