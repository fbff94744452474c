# Settings: the tunable values. Names, ranges and initial values are data: include/engine_tables.h.
#
# The process has one set, from the environment variable IOCPSOCK_SETTINGS or the table, until a runtime
# changes it. A listener or connection that a runtime creates starts with a copy of it, an accepted connection
# with a copy of its listener's. So a program that knows nothing of iocpsock can be tuned from outside:
# IOCPSOCK_SETTINGS="recvmode=zero threads=2".
# Threads: a source's settings under its lock; the process's are single ints, which any thread reads and
# writes.

cdef enum:
    SETTINGS_CAPACITY = 16          # at least SETTING_COUNT, which is a C constant that Cython cannot size an
                                    # array with
    SETTINGS_TEXT = 1024            # characters of IOCPSOCK_SETTINGS

cdef struct Settings:
    int value[SETTINGS_CAPACITY]

cdef struct SettingsProcess:
    SRWLOCK lock
    bint loaded
    Settings settings

cdef SettingsProcess settings_process


cdef inline void settings_init(Settings *settings) noexcept nogil:
    settings[0] = settings_process.settings


cdef inline int settings_of_process(int setting) noexcept nogil:
    return settings_process.settings.value[setting]


cdef inline bint settings_legal(int setting, int value) noexcept nogil:
    return setting_table[setting].smallest <= value <= setting_table[setting].largest


cdef int settings_find(const char *name, size_t length) noexcept nogil:
    """The setting with this name, without the hyphen, or -1."""
    cdef const char *option
    cdef int setting
    for setting in range(SETTING_COUNT):
        option = setting_table[setting].option + 1
        if strncmp(option, name, length) == 0 and option[length] == 0:
            return setting
    return -1


cdef inline const char *const *settings_words(int setting, int *count) noexcept nogil:
    """The words for the values of a setting, or NULL if it is a number."""
    if setting == SETTING_recvmode:
        count[0] = RECV_MODES
        return recv_mode_names
    count[0] = LOOKUPS
    return lookup_names if setting == SETTING_lookup else NULL


cdef inline const char *settings_word(int setting, int value) noexcept nogil:
    """The word for a value, or NULL if the setting is a number."""
    cdef int count
    cdef const char *const *words = settings_words(setting, &count)
    return words[value] if words != NULL else NULL


cdef bint settings_parse(int setting, const char *text, size_t length, int *value) noexcept nogil:
    """Parse a setting's value; False if it is not legal."""
    cdef long number = 0
    cdef size_t index = 0
    cdef bint negative = length > 0 and text[0] == c'-'
    cdef int count
    cdef const char *const *words = settings_words(setting, &count)
    if words != NULL:
        for value[0] in range(count):
            if strncmp(text, words[value[0]], length) == 0 and words[value[0]][length] == 0:
                return True
        return False
    for index in range(1 if negative else 0, length):
        if not c'0' <= text[index] <= c'9' or number > 100000000:
            return False
        number = number * 10 + (text[index] - c'0')
    value[0] = <int>(-number if negative else number)
    return length > <size_t>negative and settings_legal(setting, value[0])


cdef const char *settings_load() noexcept nogil:
    """Load the process's settings from the table and the environment, once: NULL, or IOCPSOCK_SETTINGS from
    its first wrong word to the end. Then the next caller loads them again."""
    cdef const char *wrong = NULL
    cdef int setting
    AcquireSRWLockExclusive(&settings_process.lock)
    if not settings_process.loaded:
        for setting in range(SETTING_COUNT):
            settings_process.settings.value[setting] = setting_table[setting].initial
        wrong = settings_load_text()
        settings_process.loaded = wrong == NULL
    ReleaseSRWLockExclusive(&settings_process.lock)
    return wrong


cdef char settings_text[SETTINGS_TEXT]


cdef const char *settings_load_text() noexcept nogil:
    cdef const char *word = settings_text
    cdef size_t length
    cdef DWORD size = GetEnvironmentVariableA(b"IOCPSOCK_SETTINGS", settings_text, SETTINGS_TEXT)
    if size >= SETTINGS_TEXT:
        return b"(a text of more than 1023 characters)"
    settings_text[size] = 0
    while word[0]:
        length = strcspn(word, b" ,")
        if length and not settings_load_word(word, length):
            return word
        word += length + (word[length] != 0)
    return NULL


cdef bint settings_load_word(const char *word, size_t length) noexcept nogil:
    """name=value"""
    cdef size_t name = strcspn(word, b"= ,")
    cdef int setting = settings_find(word, name)
    cdef int value
    if setting < 0 or name >= length or not settings_parse(setting, word + name + 1, length - name - 1,
                                                           &value):
        return False
    settings_process.settings.value[setting] = value
    return True
