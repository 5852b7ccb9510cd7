/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/exhaustion.h"

#include "common/log.h"
#include "ipc/reasons.h"

static const enum drop_reason reasons[EXHAUSTION_REASONS] = {DROP_NAT_FULL, DROP_NAT_QUOTA};

static uint64_t drops_of(const struct status_report *report, enum drop_reason reason)
{
    for (size_t i = 0; i < report->count; i++) {
        if (report->items[i].kind == STATUS_DROP && report->items[i].number == reason)
            return report->items[i].values[0];
    }
    return 0;
}

unsigned exhaustion_tell(struct exhaustion *exhaustion, const struct status *status, int64_t now)
{
    unsigned lines = 0;

    for (unsigned i = 0; i < EXHAUSTION_REASONS; i++) {
        uint64_t drops = drops_of(&status->report, reasons[i]);

        if (!exhaustion->begun || drops < exhaustion->told[i])
            exhaustion->told[i] = drops;
        if (drops == exhaustion->told[i] || now < exhaustion->next[i])
            continue;
        log_warning("connections are refused",
                    log_string("reason", reason_of_drop(reasons[i])->name),
                    log_number("packets", (int64_t)(drops - exhaustion->told[i])),
                    log_string("why", reason_of_drop(reasons[i])->meaning),
                    log_string("remedy", reason_of_drop(reasons[i])->remedy));
        exhaustion->told[i] = drops;
        exhaustion->next[i] = now + EXHAUSTION_PERIOD_SECONDS;
        lines++;
    }
    exhaustion->begun = true;
    return lines;
}
