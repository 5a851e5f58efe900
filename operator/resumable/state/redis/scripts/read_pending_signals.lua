-- The signals that no wait has taken, for a worker whose fence holds.

local refusal = refused()
if refusal then return refusal end
return {'Signals', unconsumed_signals(), signal_seq, now()}
