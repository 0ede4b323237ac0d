#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // A text of other bytes is refused before anything is read.
    if let Ok(text) = std::str::from_utf8(bytes) {
        ostler_fuzz::document(text);
    }
});
