-- Run once, when the database is made: a table, and a role that may read its changes and nothing more.
\getenv password READER_PASSWORD

CREATE TABLE public.orders (
    id text PRIMARY KEY,
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    total numeric NOT NULL,
    currency text NOT NULL,
    customer text NOT NULL
);

CREATE ROLE pointsman LOGIN REPLICATION PASSWORD :'password';
GRANT SELECT ON public.orders TO pointsman; -- for snapshots
CREATE PUBLICATION pointsman_rows FOR TABLE public.orders;
