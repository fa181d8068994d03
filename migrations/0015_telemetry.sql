-- The W3C `traceparent` of the request that asked for the work: whichever process does it goes on in that trace.
ALTER TABLE tasks ADD COLUMN trace_parent text;
ALTER TABLE runs ADD COLUMN trace_parent text;
-- How many runs the worker takes at once.
ALTER TABLE workers ADD COLUMN capacity integer;
