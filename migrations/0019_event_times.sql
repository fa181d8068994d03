-- Events are numbered in the order in which they were committed, and their times follow that but for the length of a
-- transaction and a clock that was set. By how much they do not is kept here, so that a question about a time reads no
-- more of the log than it must, and leaves nothing out.
CREATE TABLE event_times (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  -- The latest time of an event when the disorder last grew.
  newest   timestamptz NOT NULL,
  -- The most by which an event's time is before that of one with a lower number, or more.
  disorder interval NOT NULL
);
INSERT INTO event_times (newest, disorder)
  SELECT coalesce(max(time), 'epoch'), greatest(max(newest - time), interval '1 second')
  FROM (SELECT time, max(time) OVER (ORDER BY sequence) AS newest FROM events) AS numbered;
