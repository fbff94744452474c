# Tuning: the engine's settings as Python sees them.
# Threads: Python's, with the GIL.

cdef object tuning_value(int setting, int value):
    cdef const char *word = settings_word(setting, value)
    return word.decode("ascii") if word != NULL else value


cdef int tuning_named(object name) except -1:
    cdef bytes wanted = b"-" + name.encode("utf-8")
    cdef int setting
    for setting in range(SETTING_COUNT):
        if wanted == <bytes>setting_table[setting].option:
            return setting
    names = ", ".join([(<bytes>setting_table[setting].option)[1:].decode("ascii")
                       for setting in range(SETTING_COUNT)])
    raise TypeError(f"configure() has no setting {name!r}; there are {names}")


cdef int tuning_checked(int setting, object value) except? -2:
    """Return the number that stands for `value`. ValueError if the value is not legal."""
    cdef int number
    cdef bytes text = str(value).encode("utf-8")
    if settings_word(setting, 0) != NULL:
        right_type = isinstance(value, str)
    else:
        right_type = isinstance(value, int) and not isinstance(value, bool)
    if not right_type or not settings_parse(setting, text, len(text), &number):
        raise ValueError(f"{(<bytes>setting_table[setting].option)[1:].decode('ascii')}: {value!r} is not "
                         f"{setting_table[setting].legal.decode('ascii')}")
    return number


def configure(**settings):
    """Change settings of the process, all or none, and return all of them: a dict of names and ints
    (`recvmode`, `lookup`: a str).

    A setting of connections and listeners holds for those made later. TypeError for a name that is none,
    ValueError for a value that is not legal, or for `threads` once the engine has started. Names and ranges:
    the reference page.
    """
    cdef Settings changed = settings_process.settings
    cdef int setting
    for name, value in settings.items():
        setting = tuning_named(name)
        changed.value[setting] = tuning_checked(setting, value)
    if completion.started and changed.value[SETTING_threads] != settings_of_process(SETTING_threads):
        raise ValueError("threads: can only be changed before the first connection is made")
    settings_process.settings = changed
    return {(<bytes>setting_table[setting].option)[1:].decode("ascii"):
            tuning_value(setting, changed.value[setting])
            for setting in range(SETTING_COUNT)}


cdef object tuning_load():
    """Apply the environment variable IOCPSOCK_SETTINGS. ImportError if it cannot be parsed."""
    cdef const char *wrong = settings_load()
    if wrong != NULL:
        text = wrong.decode("utf-8", "replace")
        raise ImportError(f"IOCPSOCK_SETTINGS is wrong at {text!r}: it wants name=value ...")


tuning_load()
configure.__module__ = "iocpsock"
