"""The table that a run ends in."""

import collections


def quantile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def rows(outcomes, times, probes):
    """The jobs, and the prober's times."""
    jobs = collections.defaultdict(dict)
    for (job, saw), count in sorted(outcomes.items()):
        jobs[job][saw] = count
    found = [("job", "how it ended")]
    found += [(job, ", ".join(f"{count} {saw}" for saw, count in saws.items()))
              for job, saws in jobs.items()]
    found.append(("all jobs", str(sum(outcomes.values()))))
    for when in ("calm", "crowded"):
        counts = {what: count for (state, what), count in probes.items() if state == when}
        found.append((f"prober, {when}", ", ".join(f"{n} {what}" for what, n in counts.items())))
        for place, what in enumerate(("echo", "echo and 1 KiB")):
            values = sorted(1000 * one[place] for one in times[when])
            if values:
                found.append((f"  {what}", f"p50 {quantile(values, .5):.2f} ms, p99 "
                              f"{quantile(values, .99):.2f} ms, max {values[-1]:.2f} ms"))
    found.append(("prober, errors", str(probes.get(("calm", "error"), 0))))
    return found


def server_rows(base, now, base_kib, now_kib, run, cpu_s):
    """The server after the warm-up, at its peak, and at the end."""
    peaks = [max(sample[at] for sample in run.samples) for at in range(4)]
    count = {"descriptors": lambda one: sum(one["descriptors"].values()),
             "children": lambda one: len(one["children"]),
             "threads": lambda one: len(one["threads"])}
    return [
        ("server", "base, peak, end"),
        ("RSS KiB", f"{base_kib[0]}, {peaks[0]}, {now_kib[0]}"),
        ("PSS KiB", f"{base_kib[1]}, {peaks[1]}, {now_kib[1]}"),
        ("descriptors", f"{count['descriptors'](base)}, {peaks[2]}, {count['descriptors'](now)}"),
        ("children", f"{count['children'](base)}, {peaks[3]}, {count['children'](now)}"),
        ("threads", f"{count['threads'](base)}, , {count['threads'](now)}"),
        ("reloads, crowds", f"{run.server.reloads}, {run.crowds}"),
        ("processor time", f"{cpu_s:.1f} s, commands included"),
        ("status on SIGTERM", str(run.server.process.returncode)),
    ]


def say(all_rows, problems):
    """Prints the table, and what is wrong."""
    width = max(len(left) for left, _ in all_rows)
    for left, right in all_rows:
        print(f"{left:<{width}}  {right}")
    print(f"{len(problems)} problems" if problems else "everything is right")
    for problem in problems:
        print("  " + problem)
