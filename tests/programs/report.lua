-- report.lua: makes wrk end with one line of JSON: how many requests there were, and every kind of error.
--
-- `response` runs on wrk's one thread, in an interpreter of its own, which `done` (on the main thread) asks for its globals.

local worker
not200, short = 0, 0

function setup(thread)
    worker = thread
end

function response(status, headers, body)
    if status ~= 200 then
        not200 = not200 + 1
    end
    if #body ~= tonumber(headers["Content-Length"]) then
        short = short + 1
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, "not200": %d, "short": %d}\n',
        summary.requests, errors.connect, errors.read, errors.write, errors.status, errors.timeout,
        worker:get("not200"), worker:get("short")))
end
