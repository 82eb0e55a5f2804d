#pragma once

namespace seedbed {

/// The program's exit status; each command's --help documents its own.
enum exit_code : int {
    exit_ok = 0,           ///< success
    exit_failed = 1,       ///< something failed at run time; see the log
    exit_usage = 2,        ///< bad command line or configuration; nothing was started or written
    exit_refused = 3,      ///< a guard refused a device or an input before a byte was written
    exit_image_failed = 3, ///< `seedbed status`: the status was shown; an image has failed

    // For commands that run one image in the foreground:
    exit_bad_torrent = 4,     ///< the .torrent cannot be read or was refused; nothing was written
    exit_timed_out = 5,       ///< the download did not finish in time; the written data is kept
    exit_device_failed = 6,   ///< a read, a write or a flush of the device failed
    exit_not_verified = 7,    ///< the device could not be read back, or differs from the torrent
    exit_interrupted = 8,     ///< by a signal; the written data is flushed, and a later run resumes
    exit_not_confirmed = 9,   ///< the user did not confirm; nothing was written
    exit_damaged_source = 10, ///< a source sends damaged pieces again and again; the good ones are kept
};

} // namespace seedbed
