#pragma once

namespace seedbed {

/// What the program's exit status says; documented in the README.
enum exit_code : int {
    exit_ok = 0,           ///< done as asked
    exit_failed = 1,       ///< something failed while running; the log says what
    exit_usage = 2,        ///< bad command line or configuration; nothing was started or written
    exit_refused = 3,      ///< a guard refused a device or an input before a byte was written
    exit_image_failed = 3, ///< `seedbed status`: it was shown, and an image has failed
};

} // namespace seedbed
