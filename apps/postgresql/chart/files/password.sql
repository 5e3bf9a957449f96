-- Values come from the environment, and the statement stays out of the server's log.
\getenv role ROLE
\getenv password PASSWORD
SET log_statement = none;
SET log_min_duration_statement = -1;
SET log_min_error_statement = panic;
ALTER ROLE :"role" LOGIN PASSWORD :'password';
