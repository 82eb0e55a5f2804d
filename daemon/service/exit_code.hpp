#pragma once

namespace seedbed {

/// What the program's exit status says; documented in the README.
enum exit_code : int {
    exit_ok = 0,           ///< done as asked
    exit_failed = 1,       ///< something failed while running; the log says what
    exit_usage = 2,        ///< bad command line or configuration; nothing was started or written
    exit_refused = 3,      ///< a guard refused a device or an input before a byte was written
    exit_image_failed = 3, ///< `seedbed status`: it was shown, and an image has failed

    // Of the commands that run one image in the foreground.
    exit_bad_torrent = 4,   ///< the .torrent can not be read or is refused; nothing was written
    exit_timed_out = 5,     ///< the download did not end in the time that was given; what is there is kept
    exit_device_failed = 6, ///< a read, a write or a flush of the device failed
    exit_not_verified = 7,  ///< it could not be read back, or is not what was written
    exit_interrupted = 8,   ///< by a signal; what was written is flushed, and a later run goes on from there
    exit_not_confirmed = 9, ///< nobody said yes; nothing was written
};

} // namespace seedbed
