-- A page of open cases, the most urgent or the first due before all, without sorting them all.
CREATE INDEX cases_open_urgent ON cases (triage DESC, number) WHERE state NOT IN ('closed', 'rejected', 'joined');
CREATE INDEX cases_open_due ON cases (due_at, number) WHERE state NOT IN ('closed', 'rejected', 'joined');
