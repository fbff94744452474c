# Settings: what a host may tune. Names, ranges and initial values are data: include/engine_tables.h.
#
# Owner: each connection and each listener has its own; a connection starts with those of the listener that accepted it.
# Threads: under the source's lock.

cdef enum:
    SETTINGS_CAPACITY = 8           # at least SETTING_COUNT, which is a C constant that Cython cannot size an array with

cdef struct Settings:
    int value[SETTINGS_CAPACITY]


cdef void settings_init(Settings *settings) noexcept nogil:
    cdef int setting
    for setting in range(SETTING_COUNT):
        settings.value[setting] = setting_table[setting].initial


cdef inline bint settings_legal(int setting, int value) noexcept nogil:
    return setting_table[setting].smallest <= value <= setting_table[setting].largest
